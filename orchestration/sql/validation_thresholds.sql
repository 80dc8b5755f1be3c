select
    trigger_name,
    parameter,
    value,
from config.trigger_thresholds
where variant = 'default'
order by trigger_name, parameter
