select max(version) as version from raw.schema_version
