-- As of when: the last finished build, and what is loaded beyond it.
with finished as (
    select
        upto_batch_id,
        watermark_at,
        clock_at,
    from batches.finished_builds
    order by upto_batch_id desc, finished_at desc, build_id
    limit 1
),

limits as (
    select
        max(upto_batch_id) as upto_batch_id,
        max(watermark_at) as watermark_at,
        max(clock_at) as clock_at,
    from batches.int_batch__limits
)

select
    coalesce((select upto_batch_id from finished), limits.upto_batch_id) as built_batch_id,
    coalesce((select watermark_at from finished), limits.watermark_at) as watermark_at,
    coalesce((select clock_at from finished), limits.clock_at) as clock_at,
    (select max(batch_id) from raw.load_batches) as loaded_batch_id,
from limits
