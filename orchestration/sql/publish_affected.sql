-- Whose rows are swapped, and the earliest of their rows that can differ: what the build computed anew.
create or replace temp table publish_affected as
select
    user_id,
    changed_from,
from batches.int_batch__affected_users;
