-- The batch that the compiled SQL asks for is loaded by each evaluation anew. What measures near misses reads
-- user_events.
delete from raw.load_batches;

insert into load_files values (1, 'evaluation', 'evaluation');

create or replace view user_events as
select * from batches.int_batch__events;
