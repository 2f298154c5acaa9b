-- Health of a dafty.ai/DaftyAsset for Argo CD. Only Lua's base and table libraries are open there.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted, and its DaftyJobs with it; a running job is cancelled first")
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
local outdated = conditions.Outdated or {}

-- A condition's words, such as "GenerationFailed: the result of DaftyJob "hero-0123456789" stays in use; …".
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
  return health("Degraded", words(stalled, "The asset can't go on by itself"))
end
if ready.status == "True" then
  if outdated.status == "True" then
    return health("Healthy", words(outdated, "A DaftyAsset that it refers to has a newer result"))
  end
  return health("Healthy", words(ready, "The result is there"))
end
if ready.reason == "Suspended" or ready.reason == "WaitingForApproval" or ready.reason == "AccountSuspended" then
  return health("Suspended", words(ready, "Suspended"))
end
return health("Progressing", words(ready, "The result is being made"))
