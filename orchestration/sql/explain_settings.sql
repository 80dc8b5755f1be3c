select
    setting,
    value,
from config.settings
order by setting
