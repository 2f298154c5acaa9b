-- Health of a dafty.ai/DaftyJob for Argo CD. Only Lua's base and table libraries are open there.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted; a running job is cancelled first")
end

local status = obj.status
if status == nil or status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) then
  return health("Progressing", "Waiting for the Dafty operator")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready or {}
local stalled = conditions.Stalled or {}

-- A condition's words, such as "GenerationFailed: the prompt was refused".
local function words(condition, otherwise)
  local reason, message = condition.reason or "", condition.message or ""
  if reason ~= "" and message ~= "" then
    return reason .. ": " .. message
  elseif reason .. message ~= "" then
    return reason .. message
  end
  return otherwise
end

if stalled.status == "True" then
  return health("Degraded", words(stalled, "The job can't go on by itself"))
end
if status.phase == "Failed" then
  return health("Degraded", words(ready, "The job failed"))
end
if status.phase == "Completed" then
  return health("Healthy", words(ready, "The job has completed"))
end
if status.phase == "Cancelled" then
  return health("Healthy", words(ready, "The job is cancelled, as asked"))
end
if ready.reason == "Suspended" or ready.reason == "AccountSuspended" then
  return health("Suspended", words(ready, "Suspended"))
end
return health("Progressing", words(ready, "The job is on its way"))
