-- How long each destination has been failing: groups of rows, sent and recorded together, of which none arrived, since
-- the last group of which one did. What the claim itself wrote is no answer of a platform.
with

answers as (
    select
        destination,
        push_id,
        recorded_at,
        status in ('failed', 'unknown') as is_failure,
        status = 'delivered'
        or (status in ('rejected', 'waiting_for_address') and http_status is not null) as is_answer,
    from triggers.campaign_deliveries
    where status in ('delivered', 'rejected', 'waiting_for_address', 'failed', 'unknown')
),

last_answers as (
    select
        destination,
        max(recorded_at) as recorded_at,
    from answers
    where is_answer
    group by destination
),

final as (
    select
        answers.destination,
        count(distinct answers.push_id || '/' || cast(answers.recorded_at as varchar)) as failures,
        min(answers.recorded_at) as failing_since,
        max(answers.recorded_at) as last_failed_at,
    from answers
    left join last_answers on answers.destination = last_answers.destination
    where
        answers.is_failure
        and coalesce(answers.recorded_at > last_answers.recorded_at, true)
    group by answers.destination
)

select * from final
order by destination
