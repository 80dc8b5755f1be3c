-- A long history in a warehouse that a build has laid out: $matches matches of $users users over 90 days.
insert into triggers.trigger_matches by name
select
    (['time_on_page', 'related_product_views', 'high_value_cart', 'cart_abandoned'])[1 + i % 4] as trigger_name,
    'user-' || (i // 4) % $users as user_id,
    timestamp '2025-01-01' + to_seconds((i // (4 * $users)) * 86400 * 2 + hash(i) % 86400) + to_microseconds(i) as matched_at,
    'default' as variant,
    i % 4 = 3 as is_absence,
    matched_at - interval 5 minutes as window_started_at,
    [md5(i::varchar), md5('x' || i)] as event_keys,
    3 as observed_value,
    3 as threshold_value,
    [] as linked_anonymous_ids,
from range($matches) as numbers (i);

insert into triggers.trigger_decisions by name
select
    md5(trigger_name || '|' || user_id || '|' || epoch_us(matched_at)) as decision_id,
    trigger_name,
    user_id,
    matched_at,
    if(hash(user_id, matched_at) % 10 = 0, 'fired', 'suppressed') as decision,
    if(hash(user_id, matched_at) % 10 = 0, null, 'cooldown') as reason,
    matched_at as decided_at,
    0 as batch_id,
    false as is_anonymous,
    is_absence,
    window_started_at,
    event_keys,
    observed_value,
    threshold_value,
    linked_anonymous_ids,
    variant,
    'product_interest' as campaign,
    50 as priority,
    86400 as cooldown_seconds,
    3600 as max_age_seconds,
    'synthetic' as config_version,
from triggers.trigger_matches
where event_keys[1] = md5('0') or user_id like 'user-%';

insert into behavior.int_visits by name
select
    'user-' || i % $users as user_id,
    timestamp '2025-01-01' + to_seconds((i // $users) * 86400 + hash(i) % 80000) as visit_started_at,
    visit_started_at + interval 10 minutes as visit_ended_at,
    visit_started_at::date as local_day,
    7 as events,
    md5(i::varchar) as first_event_key,
    md5('x' || i) as last_event_key,
from range($matches) as numbers (i);

insert into behavior.int_user_behavior by name
select
    user_id,
    false as is_anonymous,
    max(visit_ended_at) as last_active_at,
    max(visit_started_at) as visit_started_at,
    600 as visit_seconds,
    7 as visit_events,
    max(visit_ended_at) + interval 30 minutes as visit_valid_until,
from behavior.int_visits
where user_id like 'user-%'
group by user_id;
