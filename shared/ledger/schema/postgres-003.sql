-- What a person looks for: items by their class, the newest first. Most items, and all
-- those from before, have no class until they are next written: they are not in here.
ALTER TABLE wxrefund_items
    ADD COLUMN class    text COLLATE "C",
    ADD COLUMN class_at bigint; -- Unix time in milliseconds

CREATE INDEX wxrefund_items_class ON wxrefund_items (class, class_at, item_key) WHERE class IS NOT NULL;
