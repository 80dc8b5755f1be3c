-- The models of the file, besides its seeds.
create schema rules;

create table rules.models (
    position integer not null,              -- in the order in which they build on each other
    schema_name varchar not null,
    model_name varchar not null,
    is_view boolean not null,
    compiled_sql varchar not null
);

create table rules.looks_back as
select cast($window_seconds as bigint) as window_seconds;
