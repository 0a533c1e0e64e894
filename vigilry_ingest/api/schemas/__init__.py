"""The schema room: what each endpoint accepts, made into an Event. No request, SQL, Redis or clock."""
