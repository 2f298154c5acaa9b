obj.spec.desiredState = "Completed"
return obj
