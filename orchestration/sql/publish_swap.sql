delete from published_file.{table} as rows
using batches.int_batch__affected_users as affected
where rows.user_id = affected.user_id and {changed_on};

insert into published_file.{table} by name
select rows.*
from {table} as rows
inner join batches.int_batch__affected_users as affected on rows.user_id = affected.user_id
where {changed_on} and {rows_on};
