-- What can be done with a dafty.ai/DaftyAsset, and what of it would have an effect now.

local status = obj.status or {}
local pending = status.pending or {}
local deleted = obj.metadata.deletionTimestamp ~= nil
local suspended = obj.spec.suspend == true

-- What status says is of the newest spec only once the operator has seen that.
local observed = status.observedGeneration ~= nil and status.observedGeneration == (obj.metadata.generation or 0)
local ready = {}
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" and observed then
    ready = condition
  end
end
local approved = (obj.metadata.annotations or {})["dafty.ai/approved"]
local waits = ready.reason == "WaitingForApproval" and pending.hash ~= nil and approved ~= pending.hash
-- The result is there, or nothing comes of what was made for it. What is being made, or waits, is to be waited for.
local ended = ready.status == "True" or pending.finishedAt ~= nil or ready.reason == "JobDeleted" or ready.reason == "JobNameTaken"

local actions = {}
actions["approve"] = {
  ["displayName"] = "Approve",
  ["iconClass"] = "fa fa-fw fa-check",
  ["disabled"] = deleted or not waits,
}
actions["regenerate"] = {
  ["displayName"] = "Regenerate",
  ["iconClass"] = "fa fa-fw fa-rotate-right",
  ["disabled"] = deleted or suspended or not observed or not ended,
}
actions["suspend"] = {
  ["displayName"] = "Suspend",
  ["iconClass"] = "fa fa-fw fa-pause",
  ["disabled"] = deleted or suspended,
}
actions["resume"] = {
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play",
  ["disabled"] = deleted or not suspended,
}
return actions
