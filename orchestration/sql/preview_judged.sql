-- Leaves of the judged rows those that a push would send at once: not what it would first ask the platform about.
delete from push_claim
where verdict <> 'send'
