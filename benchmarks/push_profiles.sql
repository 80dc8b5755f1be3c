insert into triggers.user_profiles by name
select
    user_id,
    email,
    phone,
    external_ids::json as external_ids,
    address_kinds,
from profiles
