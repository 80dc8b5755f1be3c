delete from published_file.{table} as rows
using publish_affected as affected
where rows.user_id = affected.user_id and {changed_on};

insert into published_file.{table} by name
select rows.*
from {table} as rows
inner join publish_affected as affected on rows.user_id = affected.user_id
where {changed_on} and {rows_on};
