-- What is due is read shard by shard, so that those who work through it at the
-- same time begin at different places. Items from before are all in shard 0, and
-- move to their own when they are next written.
ALTER TABLE wxrefund_items
    ADD COLUMN due_shard SMALLINT NOT NULL DEFAULT 0,
    DROP KEY wxrefund_items_due,
    ADD KEY wxrefund_items_due (due_shard, due, item_key),
    COMMENT = 'wxrefund schema 2';
