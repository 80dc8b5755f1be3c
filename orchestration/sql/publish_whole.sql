delete from published_file.{table};
insert into published_file.{table} by name select rows.* from {table} as rows where {rows_on};
