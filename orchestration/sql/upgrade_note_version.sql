-- One row: the layout that this file has.
create schema if not exists raw;

create table if not exists raw.schema_version (
    version bigint not null,
    written_at timestamp not null           -- wall time
);

delete from raw.schema_version where version <> $version;

insert into raw.schema_version
select
    $version as version,
    $written_at as written_at
where not exists (select 1 from raw.schema_version);
