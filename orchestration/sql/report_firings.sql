-- The latest $latest firings of each trigger, with the state of their delivery.
with states as (
    select
        decision_id,
        arg_max(status, delivery_seq) as status,
        arg_max(struct_pack(code := http_status), delivery_seq).code as http_status,
        max(attempt) as attempts,
    from triggers.campaign_deliveries
    group by decision_id
)

select
    decisions.*,
    states.status as delivery_status,
    states.http_status,
    states.attempts,
from triggers.trigger_decisions as decisions
left join states on decisions.decision_id = states.decision_id
where decisions.decision = 'fired'
qualify
    row_number() over (
        partition by decisions.trigger_name order by decisions.matched_at desc, decisions.user_id
    ) <= $latest
order by decisions.trigger_name, decisions.matched_at desc, decisions.user_id
