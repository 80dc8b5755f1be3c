select
    trigger_name,
    is_enabled = 'true' as is_enabled,
from config.triggers
order by cast(priority as bigint), trigger_name
