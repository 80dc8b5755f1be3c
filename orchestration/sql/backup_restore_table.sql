create schema if not exists {schema};
create table {table} ({columns});
insert into {table} by name select * from read_parquet({file});
