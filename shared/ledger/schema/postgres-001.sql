-- One row an item. The collation is the one that compares byte by byte.
CREATE TABLE wxrefund_items (
    item_key text COLLATE "C" NOT NULL PRIMARY KEY,
    version  bigint           NOT NULL CHECK (version > 0),
    due      bigint, -- Unix time in milliseconds; NULL: never
    body     bytea            NOT NULL
);

-- What is due. Most items are settled and have no time: they are not in here,
-- and the list stays as short as the work that is left.
CREATE INDEX wxrefund_items_due ON wxrefund_items (due, item_key) WHERE due IS NOT NULL;
