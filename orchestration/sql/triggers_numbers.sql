select
    trigger_name,
    variant,
    parameter,
    coalesce(value, '') as value,
    coalesce(unit, '') as unit,
    coalesce(description, '') as description,
from seeded.trigger_thresholds
order by trigger_name, variant, parameter
