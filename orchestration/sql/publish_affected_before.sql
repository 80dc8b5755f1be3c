-- With the users of the build before it, as its published file keeps them: what is carried on is one build older.
create or replace temp table publish_affected as
select
    both_builds.user_id,
    min(both_builds.changed_from) as changed_from,
from (
    from publish_affected
    union all by name
    from published_file.publication.changes
) as both_builds
group by both_builds.user_id;
