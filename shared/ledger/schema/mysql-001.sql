-- One row an item. The key is bytes, not text: no collation folds cases or
-- ignores spaces. Items without a time are in the index, at the end that is
-- never read, for there are no partial ones.
CREATE TABLE wxrefund_items (
    item_key VARBINARY(128) NOT NULL PRIMARY KEY,
    version  BIGINT         NOT NULL CHECK (version > 0),
    due      BIGINT, -- Unix time in milliseconds; NULL: never
    body     LONGBLOB       NOT NULL,
    KEY wxrefund_items_due (due, item_key)
) ENGINE = InnoDB COMMENT = 'wxrefund schema 1';
