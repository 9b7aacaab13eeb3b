-- One row an item.
CREATE TABLE wxrefund_items (
    item_key TEXT    NOT NULL PRIMARY KEY, -- printable ASCII, compared byte by byte
    version  INTEGER NOT NULL CHECK (version > 0),
    due      INTEGER,                      -- Unix time in milliseconds; NULL: never
    body     BLOB    NOT NULL
) STRICT;

-- What is due. Most items are settled and have no time: they are not in here,
-- and the list stays as short as the work that is left.
CREATE INDEX wxrefund_items_due ON wxrefund_items (due, item_key) WHERE due IS NOT NULL;
