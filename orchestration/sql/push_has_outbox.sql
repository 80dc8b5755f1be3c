-- False before the first build, and where an older release built last.
select count(*) = 2 as has_outbox
from information_schema.tables
where table_schema = 'triggers' and table_name in ('campaign_outbox', 'campaign_backlog')
