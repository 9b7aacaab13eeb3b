-- What a person looks for: items by their class, the newest first. Most items, and all
-- those from before, have no class until they are next written: they stand at the end
-- that is never read. class_at is Unix time in milliseconds.
ALTER TABLE wxrefund_items
    ADD COLUMN class    VARBINARY(24),
    ADD COLUMN class_at BIGINT,
    ADD KEY wxrefund_items_class (class, class_at, item_key),
    COMMENT = 'wxrefund schema 3';
