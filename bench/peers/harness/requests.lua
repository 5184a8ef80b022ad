-- Sends the requests of a file in turn. A line is a method, a path and, if there is one, a body, separated by spaces.
local requests, next_request = {}, 0

function init(args)
   for line in io.lines(args[1]) do
      local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
      table.insert(requests, wrk.format(method, path, nil, body ~= "" and body or nil))
   end
end

function request()
   next_request = next_request % #requests + 1
   return requests[next_request]
end
