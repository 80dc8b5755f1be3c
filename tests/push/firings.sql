-- $rows firings u<first> … of one trigger and campaign, one user each, matched and decided minutes apart.
insert into triggers.trigger_matches
select
    'cart_abandoned', 'u' || (n + $first), timestamp '2026-11-01 10:00:00' + to_minutes(n), 'control', true,
    timestamp '2026-10-31 10:00:00', [md5(n::varchar)], 86400, 86400, [],
from range($rows) as r(n);
