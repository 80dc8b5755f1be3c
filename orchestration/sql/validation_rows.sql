-- What became of each line, by its number.
select
    load_typed.line_number,
    load_typed.reason,
    load_standing.is_duplicate,
from load_typed
left join load_standing using (row_id)
order by load_typed.line_number
