-- Any other text has the request made again, and paid for. The time has never been one before.
local os = require("os")
obj.spec.revision = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
