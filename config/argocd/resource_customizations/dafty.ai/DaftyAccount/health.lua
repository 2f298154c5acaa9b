-- Health of a dafty.ai/DaftyAccount for Argo CD. Only Lua's base and table libraries are open there.

local function health(status, message)
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted; nothing new is submitted with it")
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

-- A condition's words, such as "Accepted: Dafty accepts the API key".
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
  return health("Degraded", words(stalled, "The account can't go on by itself"))
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return health("Suspended", "Suspended: spec.suspend is true, so nothing new is submitted with it")
end
if ready.status == "True" then
  return health("Healthy", words(ready, "Dafty accepts the API key"))
end
return health("Progressing", words(ready, "Dafty is asked whom the API key belongs to"))
