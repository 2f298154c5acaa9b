-- What can be done with a dafty.ai/DaftyJob, and what of it would have an effect now.

local status = obj.status or {}
local phase = status.phase or "Pending"
-- Where nothing is given, a suspension that is on record still holds.
local wanted = obj.spec.desiredState or (status.suspendedAt ~= nil and "Suspended") or "Completed"
local over = phase == "Completed" or phase == "Failed" or phase == "Cancelled" or obj.metadata.deletionTimestamp ~= nil
-- Nothing is at Dafty, and no request may be. Between two attempts that is so again.
local held = phase == "Pending"

local actions = {}
-- Cancelled is for good: there is no way back from it, and a DaftyJob that asks for something else since can agree.
local called_off = wanted == "Cancelled" or status.cancelRequestedAt ~= nil
local disagrees = phase == "Cancelled" and wanted ~= "Cancelled" and obj.metadata.deletionTimestamp == nil
actions["cancel"] = {
  ["displayName"] = "Cancel",
  ["iconClass"] = "fa fa-fw fa-ban",
  ["disabled"] = (over or called_off) and not disagrees,
}
actions["suspend"] = {
  ["displayName"] = "Suspend",
  ["iconClass"] = "fa fa-fw fa-pause",
  ["disabled"] = over or called_off or not held or wanted ~= "Completed" or obj.spec.adoptJobID ~= nil,
}
actions["resume"] = {
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play",
  ["disabled"] = over or called_off or wanted ~= "Suspended",
}
return actions
