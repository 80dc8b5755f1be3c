select count(*) > 0 as has_outbox
from information_schema.tables
where table_schema = 'triggers' and table_name = 'campaign_outbox'
