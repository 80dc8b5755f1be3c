select distinct part
from parts
order by part
