select coalesce(min(changed_from), timestamp '9999-12-31') as first_change
from publish_affected
