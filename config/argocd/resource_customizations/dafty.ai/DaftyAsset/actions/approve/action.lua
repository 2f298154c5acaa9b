-- It speaks of one change only, so that it can't approve another that comes meanwhile.
local pending = (obj.status or {}).pending or {}
if pending.hash == nil then
  error("no change waits to be approved")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["dafty.ai/approved"] = pending.hash
return obj
