-- Which build the tables are of, whether it ended well, and the one it was computed from.
with

limits as (select * from batches.int_batch__limits),

earlier as (
    select finished_builds.build_id
    from batches.finished_builds
    cross join limits
    where
        finished_builds.build_id <> limits.build_id
        and finished_builds.upto_batch_id = limits.done_batch_id
        and not limits.is_full
    order by finished_builds.finished_at desc, finished_builds.build_id
    limit 1
),

final as (
    select
        limits.build_id,
        limits.upto_batch_id,
        limits.clock_at,
        limits.is_full,
        (
            select count(*) > 0
            from batches.finished_builds
            where finished_builds.build_id = limits.build_id
        ) as is_finished,
        (select build_id from earlier) as prior_build_id,
        (
            select coalesce(max(delivery_seq), 0)
            from triggers.campaign_deliveries
        ) as delivery_seq,
    from limits
)

select * from final
