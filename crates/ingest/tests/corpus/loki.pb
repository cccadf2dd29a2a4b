
9
{service_name="cart"} 
мъ•Шno answer from ratings