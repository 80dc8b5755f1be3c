select
    trigger_name,
    variant,
    parameter,
    coalesce(value, '') as value,
    coalesce(unit, '') as unit,
from config.trigger_thresholds
order by trigger_name, variant, parameter
