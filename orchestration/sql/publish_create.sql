create schema if not exists published_file.{schema};
create table published_file.{table} as select rows.* from {table} as rows where {rows_on};
