-- What can be done with a dafty.ai/DaftyJob, and what of it would have an effect now.

local wanted = obj.spec.desiredState or "Completed"
local status = obj.status or {}
local phase = status.phase or "Pending"
local over = phase == "Completed" or phase == "Failed" or phase == "Cancelled" or obj.metadata.deletionTimestamp ~= nil
-- Nothing is at Dafty, and no request may be. Between two attempts that is so again.
local held = phase == "Pending"

local actions = {}
-- Cancelled is for good: there is no way back from it.
actions["cancel"] = {
  ["displayName"] = "Cancel",
  ["iconClass"] = "fa fa-fw fa-ban",
  ["disabled"] = over or wanted == "Cancelled",
}
actions["suspend"] = {
  ["displayName"] = "Suspend",
  ["iconClass"] = "fa fa-fw fa-pause",
  ["disabled"] = over or not held or wanted ~= "Completed" or obj.spec.adoptJobID ~= nil,
}
actions["resume"] = {
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play",
  ["disabled"] = over or wanted ~= "Suspended",
}
return actions
