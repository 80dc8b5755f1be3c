-- The unit of a trigger's observed_value: that of the number it is compared with, which is a min_<what>, else the
-- seconds of a wait, of a stay or of a visit.
with ranked as (
    select
        trigger_name,
        unit,
        row_number() over (
            partition by trigger_name
            order by
                case
                    when parameter like 'min\_%' escape '\' then 1
                    when parameter like 'wait\_%' escape '\' then 2
                    else 3
                end,
                unit <> 'seconds',
                parameter
        ) as nth,
    from config.trigger_thresholds
    where variant = 'default'
)

select
    trigger_name,
    unit,
from ranked
where nth = 1
order by trigger_name
