-- What is due is read shard by shard, so that those who work through it at the
-- same time begin at different places. Items from before are all in shard 0, and
-- move to their own when they are next written.
ALTER TABLE wxrefund_items ADD COLUMN due_shard smallint NOT NULL DEFAULT 0;

DROP INDEX wxrefund_items_due;

CREATE INDEX wxrefund_items_due ON wxrefund_items (due_shard, due, item_key) WHERE due IS NOT NULL;
