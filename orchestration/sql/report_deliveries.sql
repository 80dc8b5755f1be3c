-- What became of the firings, by the latest row of each idempotency key; 'waiting' has none yet.
with states as (
    select
        decision_id,
        arg_max(status, delivery_seq) as status,
    from triggers.campaign_deliveries
    group by decision_id, idempotency_key
)

select
    decisions.trigger_name,
    coalesce(states.status, 'waiting') as status,
    count(*) as firings,
from triggers.trigger_decisions as decisions
left join states on decisions.decision_id = states.decision_id
where decisions.decision = 'fired' and coalesce(decisions.campaign, '') <> ''
group by decisions.trigger_name, status
order by decisions.trigger_name, firings desc, status
