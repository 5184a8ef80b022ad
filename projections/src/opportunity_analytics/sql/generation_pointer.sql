create table if not exists ?.?
(
    number UInt32 comment 'the generation that the views read',
    moved  UInt64 comment 'counts the switches'
)
engine = ReplacingMergeTree(moved)
order by tuple()
comment 'one row: which generation the views of this database read'
