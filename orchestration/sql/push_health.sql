-- Per destination, rows that could go out and have not: how many, and the age of the oldest by the clock of the latest
-- batch. Rows that wait for an address or a person are not counted.
with

backlog as (select * from triggers.campaign_backlog),

latest_batch as (
    select max(clock_at) as clock_at
    from raw.load_batches
),

final as (
    select
        backlog.destination,
        count(*) as unsent_rows,
        max(date_diff('second', backlog.decided_at, latest_batch.clock_at)) as oldest_seconds,
    from backlog
    cross join latest_batch
    where backlog.delivery_status is null or backlog.delivery_status not in ('waiting_for_address', 'held')
    group by backlog.destination
)

select * from final
order by destination
