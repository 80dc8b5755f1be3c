-- The last finished build, and whether one was begun after it that did not end well.
with finished as (
    select
        build_id,
        upto_batch_id,
        clock_at,
        watermark_at,
        finished_at,
    from batches.finished_builds
    order by upto_batch_id desc, finished_at desc, build_id
    limit 1
),

begun as (
    select
        build_id,
        upto_batch_id,
    from batches.int_batch__limits
)

select
    (select upto_batch_id from finished) as built_batch_id,
    (select finished_at from finished) as finished_at,
    (select clock_at from finished) as clock_at,
    (select watermark_at from finished) as watermark_at,
    exists (from begun where build_id not in (select build_id from batches.finished_builds)) as is_broken_off,
    (select max(upto_batch_id) from begun) as begun_batch_id,
